"""Function Compute: both invoke APIs, the asynchronous queue, triggers, and instances that are real processes."""

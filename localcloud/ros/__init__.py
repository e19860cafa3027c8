"""Resource Orchestration Service: reads a template, so that what it says is what runs."""

"""Object Storage Service: buckets of the world, and the objects that clients put into them."""

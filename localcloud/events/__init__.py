"""What the cloud tells of itself: audit records, state changes of images, and who gets to know of them."""

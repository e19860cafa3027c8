"""Carrying a plan out in the fewest calls, image by image, each image on its own.

``sharing`` shares one image and finds out what became of it; what the cloud silently ignores is found by reading back.
"""

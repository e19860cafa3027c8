"""Elastic Compute Service 2014-05-26: images, their share permissions and tags."""

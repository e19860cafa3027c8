"""Elastic Desktop Service 2020-09-30: images and who they are shared with."""

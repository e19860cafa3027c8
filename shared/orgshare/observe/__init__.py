"""Reading the cloud: the organization, images and their grants, resource shares.

``listing`` decides whether a list is complete; ``organization``, ``images`` and ``shares`` read with it. Nothing here
decides what a reading means for anybody's access; a reading that is not complete is an error, never a shorter list.
"""

"""The policy: what its keys mean (``model``) and how a file becomes that (``loading``)."""

"""Alibaba Cloud behind the program's ports: the only place that imports a vendor SDK.

SDKs are imported where a client is made, not at the top: the ECS package alone takes half a second to import, and a
function that starts cold should load only what it uses.
"""

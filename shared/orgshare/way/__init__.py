"""The one way through the program, whatever started it:

    signal -> observe -> decide -> guard -> execute -> record

``look`` observes, ``planning`` decides, asks for proof and guards, ``applying`` executes and records. Handlers and the
command line call these and render what comes back; nothing else leads to a change in the cloud.
"""

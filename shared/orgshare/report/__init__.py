"""What a run found and did, for programs and for people.

``documents`` turns frozen facts into the JSON of the contract; ``explaining`` and ``overview`` draw the answers of
``explain`` and ``status`` from the same facts; ``plan_text`` and ``answer_text`` render all of them as lines of text.
Nothing here reads or decides anything, and nothing is printed here: the command line, the functions and the demo
choose what to print where.

What can go wrong: a report that says something else than what happened. So there is one document for one fact, and
the text of plans and runs is rendered from the document that the program prints as JSON.
"""

"""Remote repositories: where they are, how they are reached, and what is said to them.

dulwich's transports talk git's protocol. What is here is around them: ``address`` reads what a remote is
configured with and refuses what no honest one looks like; ``matching`` finds the settings for an address,
``settings`` are those for HTTP and time-outs; ``credentials`` come from helpers, ``stored`` files or people;
``http``, ``ssh`` and ``daemon`` are the ways, and ``connect`` picks one; ``haves`` says what is here already.
"""

"""Random trees, random work on them and random new trees: ``trees`` and ``states`` make them up, ``checkout``
makes a repository of one with git, and ``judge`` plays run and undo in it and asks git what came of it."""

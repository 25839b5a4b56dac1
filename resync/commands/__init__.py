"""The commands: each opens the repository, goes as far along the pipeline as it must, and reports.

``session`` is what they share; ``look`` says how things stand (``check``), ``moving`` does the work
(``plan``, ``run``, ``continue``, ``abort``, ``undo``), ``past`` looks back (``status``, ``log``), and
``rescue`` is about the rescue branches.
Modules that only some commands need are imported where they are needed: ``check`` is asked often and has to
be quick.
"""

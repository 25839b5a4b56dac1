"""What is left when a run ends at the worst moment: killed, refused by the system, without power, raced, damaged.

``scenarios`` builds the clones that runs end in and ``starter`` starts runs cheaply. ``trace`` lists the calls to
the system of a run, and ``oracle`` says, with git and the file system alone, whether anything is lost and how a
checkout stands. On these stand the sweeps: ``kill`` at every call, ``faults`` at every call, ``power`` (on ``disk``,
a model of one that forgets), ``races`` and ``damage``. ``scripts/crash-sweep`` runs them whole; the tests here are
quick parts of them.
"""

"""What is left when a run ends at the worst moment: killed, failed, raced, damaged, without power.

``scenarios`` builds the clones that runs end in, ``starter`` starts runs cheaply, and they are played on the
``stage``. ``trace`` lists the calls to the system of a run; ``oracle`` says, with git and the file
system alone, whether anything is lost and how a checkout stands. On these stand the sweeps: ``kill`` and
``faults`` at every call, ``power`` on ``disk`` (a model of one that forgets), ``races``, ``damage``.
``scripts/crash-sweep`` runs them whole; the tests here are quick parts of them.
"""

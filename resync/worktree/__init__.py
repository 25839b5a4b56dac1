"""The working tree and the index: what is there, what it means to git, and the change to another state.

What is there: ``index`` reads and makes index files, ``files`` looks at the disk, ``status`` finds what
differs (``staged`` HEAD from the index, ``submodules`` a submodule's HEAD), ``untracked`` what git does not
have. What it means: ``settings`` from the configuration, ``attributes`` and ``ignore``, ``convert`` for
line ends, ``filters`` for programs that files go through, ``large`` for files that no memory holds
(``filter_process`` for those that stay at work), ``stat_rule`` for when nobody has to look, ``form`` for
what a stored file is on disk, ``merging`` for what attributes and configuration say to the merge engine,
``drivers`` for the user's own ways to merge, ``names`` for paths that must not be made, ``access`` for
owners and permissions. The change: ``snapshot`` makes commits of what is not committed, ``staging`` writes
new files beforehand and ``switch`` brings them in (``moves`` each one, where somebody else may be at work
on it; ``folders`` says where none can be moved), ``reindex`` the index, and ``place`` puts a single file
back.
"""

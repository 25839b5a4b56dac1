"""What upstream did, what the clone is like, and what is then one's own: every act with every condition.

``language`` is how histories are written down, ``acts`` are upstream's and ``conditions`` the clone's;
``table`` puts them together with what is expected of each pair, and ``play`` acts them out.
"""

"""Atari games without leaks: endless episodes, no score on the screen, the unclipped score as hidden reward.

Needs ale-py (`pip install 'prefrl[atari]'`), which is imported when the first environment is made.
"""

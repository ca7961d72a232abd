"""The robots of MuJoCo: the tasks of Christiano et al. (2017), and behaviours that no reward describes."""

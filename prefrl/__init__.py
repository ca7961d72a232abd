"""Deep RL from comparisons of short clips of behaviour (Christiano et al. 2017).

This package hands out only its version, so that importing a part of it (the store, say) never loads the
rest (torch, say). Import from the sub-packages: `prefrl.segments`, `prefrl.feedback`, `prefrl.reward`,
`prefrl.agents`, `prefrl.runs`.
"""

__version__ = "0.1.0"

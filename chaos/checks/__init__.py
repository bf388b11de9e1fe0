"""One file for each invariant I1 to I9: `violations(history)`, pure, with the evidence.

A check reads the history and nothing else. An answer `unknown` is never evidence for or against
anything, so a check may miss what happened behind one, and never accuses because of one.
"""

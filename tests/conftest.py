"""What all tests share.

Property tests draw the same examples every time, so that a change is judged by itself
and not by its luck. To look for new ones: HYPOTHESIS_PROFILE=search ./test -k property
"""

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

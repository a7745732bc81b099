"""Former name of :mod:`mmmae_st.compat.mmaction`, kept for a release."""

import mmmae_st.compat.mmaction  # noqa: F401

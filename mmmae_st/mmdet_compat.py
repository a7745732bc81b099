"""Former name of :mod:`mmmae_st.compat.mmdet`, kept for a release."""

import mmmae_st.compat.mmdet  # noqa: F401

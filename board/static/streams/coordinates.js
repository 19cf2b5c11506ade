// Files of points have pages of their own, and nothing on the overview.

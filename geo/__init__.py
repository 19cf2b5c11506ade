"""Where on the earth a point is: coordinate systems, and the regions of Korea. Pure, and without a server."""

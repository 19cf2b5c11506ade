"""The tickets job without what it does per seat: oversells and sold-out shows."""

from functools import partial

import jobs
from jobs.flow.environment import submit
from jobs.tickets import NAME, build

if __name__ == "__main__":
    submit(partial(build, seats_watched=False), NAME, carrying=[jobs])

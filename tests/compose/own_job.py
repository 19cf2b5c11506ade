"""The smallest job of one's own: numbers, squared in Python, in the TaskManagers' log."""

from pyflink.datastream import StreamExecutionEnvironment

environment = StreamExecutionEnvironment.get_execution_environment()
environment.from_collection([1, 2, 3]).map(lambda number: number * number).print()
environment.execute("own")

"""What `make submit` says when `flink run` fails."""

from control.jobs import refusal

ABORTED = """\
org.apache.flink.client.program.ProgramAbortException: java.lang.RuntimeException: Python process exits with code: 1
\tat org.apache.flink.client.python.PythonDriver.main(PythonDriver.java:124)
Caused by: java.lang.RuntimeException: Python process exits with code: 1
\tat org.apache.flink.client.python.PythonDriver.main(PythonDriver.java:116)
\t... 14 more
"""


def test_what_the_job_said_is_not_lost_behind_the_clients_exit_code() -> None:
    said = "Wrong settings (conf/citystream.yaml or the environment):\n  time_zone: no such time zone: Nowhere"
    assert refusal(said + "\n", ABORTED) == said


def test_the_last_cause_is_the_reason() -> None:
    stderr = "The program finished with the following exception:\n\tat y\nCaused by: a\n\tat z\nCaused by: no slots\n"
    assert refusal("Job has been submitted with JobID 1\n", stderr) == "Caused by: no slots"

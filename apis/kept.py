"""Answers of public APIs, kept in PostgreSQL while they hold: no kill, and no fresh start, pays for one twice."""

import json
from datetime import datetime
from typing import Any

from apis.database import Database


class KeptAnswers:
    """In the table `api_answers` of sql/postgres; an answer is whatever JSON holds.

    Args:
        url: the database, as a libpq URL.
        operation: whose answers these are.
    """

    def __init__(self, url: str, operation: str) -> None:
        self._database = Database(url)
        self._operation = operation

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def find(self, question: str, now: datetime) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The answer to a question that still holds; None: there is none.

        Raises:
            DatabaseError: the database stays away.
        """
        row = self._database.run(
            "SELECT answer FROM api_answers WHERE operation = %s AND question = %s AND expires_at > %s",
            (self._operation, question, now),
        )
        return row[0] if row else None

    def keep(self, question: str, answer: Any, until: datetime) -> None:  # noqa: ANN401 - whatever JSON holds
        """Keep an answer; of two that came at once the last one.

        Raises:
            DatabaseError: the database stays away.
        """
        self._database.run(
            "INSERT INTO api_answers VALUES (%s, %s, %s, %s) ON CONFLICT (operation, question) "
            "DO UPDATE SET answer = excluded.answer, expires_at = excluded.expires_at RETURNING operation",
            (self._operation, question, json.dumps(answer), until),
        )

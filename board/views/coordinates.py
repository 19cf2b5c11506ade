"""Files of points on the board: what was uploaded. How far each is, `board/coordinates.py` tells."""

from board.view import Listing, View

VIEW = View(
    listings={
        "batches": Listing(
            source="coordinate_uploads",
            columns=("batch_id", "file_name", "source_crs", "sheet_by", "rows", "uploaded_at", "sent_at"),
            order="uploaded_at",
            key=("batch_id",),
            filters=("source_crs",),
            search=("batch_id", "file_name"),
            time="uploaded_at",
            default_hours=None,
        )
    },
    pages=("/batches",),
)

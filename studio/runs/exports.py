"""A run's curves as files: CSV, and TensorBoard's event file. Both are made while they are sent."""

from __future__ import annotations

import csv
import struct
from collections.abc import Iterator

from studio.runs.models import Metric, Run

CHUNK = 5_000
CSV_TYPE, TENSORBOARD_TYPE = "text/csv; charset=utf-8", "application/octet-stream"


def tensorboard_name(run_id: int) -> str:
    """A name by which TensorBoard finds the file in a folder."""
    return f"events.out.tfevents.{run_id:010d}.run-{run_id}"


def csv_rows(run: Run) -> Iterator[bytes]:
    """One line a point: step, series, value, attempt; by series, then by step. Superseded points are left out."""
    writer = csv.writer(_Line())
    yield writer.writerow(("step", "series", "value", "attempt")).encode()
    points = Metric.objects.filter(run=run, superseded=False).order_by("name", "step")
    for point in points.values_list("step", "name", "value", "attempt").iterator(CHUNK):
        yield writer.writerow(point).encode()


class _Line:
    """A file of which csv gives every line back."""

    def write(self, line: str) -> str:
        return line


def tensorboard_records(run: Run) -> Iterator[bytes]:
    """The records of an event file: a scalar a point, by series and step; the wall time is the run's creation."""
    from tensorboardX.proto.event_pb2 import Event  # half a second to import, which few processes need

    at = run.job.created_at.timestamp()
    yield _record(Event(wall_time=at, file_version="brain.Event:2").SerializeToString())
    points = Metric.objects.filter(run=run, superseded=False).order_by("name", "step")
    for step, name, value in points.values_list("step", "name", "value").iterator(CHUNK):
        event = Event(wall_time=at, step=step)
        event.summary.value.add(tag=name, simple_value=value)
        yield _record(event.SerializeToString())


def _record(data: bytes) -> bytes:
    """TFRecord's framing: length, its checksum, the data, its checksum."""
    from tensorboardX.record_writer import masked_crc32c

    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))

"""What AWS charges, as one dated table. USD list prices; AWS counts a GB as 2^30 bytes.

To be compared with the pages that `SOURCES` names before anything large: prices change, and differ by region. They were
taken from memory and third-party pages, not read from those pages on that day. What is free each month is free for the
whole account and without end; what is free only for a new account's first months is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

AS_OF = date(2026, 11, 25)
REGION = "us-east-1"
SOURCE = "https://aws.amazon.com/s3/pricing/"
SOURCES = (
    SOURCE,
    *(
        f"https://aws.amazon.com/{service}/pricing/"
        for service in (
            "lambda",
            "step-functions",
            "dynamodb",
            "kms",
            "secrets-manager",
            "cloudwatch",
            "xray",
            "sns",
            "sqs",
            "eventbridge",
            "vpc",
        )
    ),
)

GB = 1024**3
KB = 1024

#: Hours and days that a bill counts as a month.
HOURS_OF_A_MONTH = 730
DAYS_OF_A_MONTH = 30

# ------------------------------------------------------------------ S3: storage
#: Keeping a GB in S3 Standard for a month; copies that a restore makes are billed so.
STANDARD_GB_MONTH = 0.023
INSTANT_GB_MONTH = 0.004
DEEP_ARCHIVE_GB_MONTH = 0.00099

#: Days for which an object is billed at least, also if it is deleted or moved on before.
INSTANT_LEAST_DAYS = 90
DEEP_ARCHIVE_LEAST_DAYS = 180

#: What each object in Deep Archive adds (bytes): its name at the price of Standard, its index at that of its class.
ARCHIVED_NAME_BYTES = 8 * KB
ARCHIVED_INDEX_BYTES = 32 * KB

TAG_MONTH = 0.01 / 10_000

# ----------------------------------------------------------------- S3: requests
#: PUT, COPY, POST, LIST; also each part of a multipart upload, to whatever class.
STANDARD_PUT = 0.005 / 1000
STANDARD_GET = 0.0004 / 1000
#: An object put into Deep Archive (for a multipart upload: its completion), and one moved there by a lifecycle rule.
DEEP_ARCHIVE_PUT = 0.05 / 1000
DEEP_ARCHIVE_TRANSITION = 0.05 / 1000

#: A GB that leaves AWS for the internet, and the GB a month that are free.
EGRESS_GB = 0.09
EGRESS_FREE_GB = 100


@dataclass(frozen=True, slots=True)
class Tier:
    """One way to restore from a storage class; `hours` is how long S3 says that it takes at most."""

    gb: float
    thousand_requests: float
    hours: float


#: By storage class and tier. Hours: Amazon S3 user guide, archive retrieval options.
RESTORE: Mapping[str, Mapping[str, Tier]] = MappingProxyType(
    {
        "DEEP_ARCHIVE": MappingProxyType(
            {
                "Bulk": Tier(gb=0.0025, thousand_requests=0.025, hours=48),
                "Standard": Tier(gb=0.02, thousand_requests=0.10, hours=12),
            }
        ),
        "GLACIER": MappingProxyType(
            {
                "Bulk": Tier(gb=0.0, thousand_requests=0.0, hours=12),
                "Standard": Tier(gb=0.01, thousand_requests=0.05, hours=5),
                "Expedited": Tier(gb=0.03, thousand_requests=10.0, hours=1 / 12),
            }
        ),
    }
)


# ------------------------------------------------------- everything but storage
@dataclass(frozen=True, slots=True)
class Metered:
    """A price for one unit; the first `free` units of a month cost nothing."""

    unit: float
    free: float = 0.0


LAMBDA_GB_SECOND = MappingProxyType(
    {"arm64": Metered(0.0000133334, free=400_000), "x86_64": Metered(0.0000166667, free=400_000)}
)
LAMBDA_REQUEST = Metered(0.20 / 1e6, free=1e6)

#: A transition of a Standard workflow; a child of a Distributed Map counts like any other execution.
TRANSITION = Metered(0.025 / 1000, free=4000)
#: An Express workflow is billed by request and by GB-second instead.
EXPRESS_REQUEST = Metered(1.00 / 1e6)
EXPRESS_GB_SECOND = Metered(0.06 / 3600)

DYNAMODB_WRITE = Metered(0.625 / 1e6)
DYNAMODB_READ = Metered(0.125 / 1e6)
DYNAMODB_GB_MONTH = Metered(0.25, free=25)
#: Point-in-time recovery.
DYNAMODB_BACKUP_GB_MONTH = Metered(0.20)

#: A key of the customer's own; its first and its second yearly rotation add as much again, later ones nothing.
KMS_KEY_MONTH = Metered(1.00)
KMS_ROTATIONS_BILLED = 2
KMS_REQUEST = Metered(0.03 / 10_000, free=20_000)

SECRET_MONTH = Metered(0.40)
SECRET_CALL = Metered(0.05 / 10_000)

#: A custom metric is billed for the hours in which it was sent.
METRIC_MONTH = Metered(0.30, free=10)
ALARM_MONTH = Metered(0.10, free=10)
COMPOSITE_ALARM_MONTH = Metered(0.50)
DASHBOARD_MONTH = Metered(3.00, free=3)
LOG_GB = Metered(0.50, free=5)
LOG_KEPT_GB_MONTH = Metered(0.03, free=5)
TRACE = Metered(5.00 / 1e6, free=100_000)

SNS_PUBLISH = Metered(0.50 / 1e6, free=1e6)
SNS_EMAIL = Metered(2.00 / 100_000, free=1000)
SCHEDULED_START = Metered(1.00 / 1e6, free=14e6)

#: What a function in a VPC without public addresses needs to reach the internet, for each hour and each GB in or out.
NAT_HOUR = 0.045
NAT_GB = 0.045

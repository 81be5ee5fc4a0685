"""Times that people ask about: such as every zone and every database knows."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

_POSSIBLE_YEARS = range(1971, 9999)


def _possible(time: datetime) -> datetime:
    if time.year not in _POSSIBLE_YEARS:
        raise ValueError("give a time of this or the last year")
    return time


Moment = Annotated[AwareDatetime, AfterValidator(_possible)]

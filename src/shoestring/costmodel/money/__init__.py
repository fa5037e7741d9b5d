"""What an inference takes in energy and money."""

from shoestring.costmodel.money.energy import energy_per_example
from shoestring.costmodel.money.price import Assumptions, price_per_million

__all__ = ["Assumptions", "energy_per_example", "price_per_million"]

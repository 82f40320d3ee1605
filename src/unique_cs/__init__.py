"""unique-cs: a self-hosted customer-service system."""

__version__ = "0.1.0"

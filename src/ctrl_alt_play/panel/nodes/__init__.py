"""The machines that games run on: enrolled here, and present while their agent is connected."""

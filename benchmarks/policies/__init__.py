"""Which pictures take UNet steps together: this project's scheduler and what others do, behind one interface."""

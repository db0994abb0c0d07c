"""What the bridge does about failures that pass: begin again, leave a family alone, have another stand in."""

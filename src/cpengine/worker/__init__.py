"""What runs in a container on AWS: jobs from a queue, as long as there are any."""

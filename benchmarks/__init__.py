"""What `make bench` measures: ratios against floors and peers, each with the bar that it must meet."""

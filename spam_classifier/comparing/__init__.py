"""Many runs side by side: configs, seeds, sizes, baselines."""

"""Real protocol code from the npm packages, deployed on a local Anvil: Aave V3, Uniswap V3, WETH9."""

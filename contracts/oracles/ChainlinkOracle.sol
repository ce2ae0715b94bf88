// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IOracle} from "../interfaces/IOracle.sol";
import {IAggregator} from "../interfaces/chainlink/IAggregator.sol";

/// @title The price of a token in another, from feeds of Chainlink's kind
/// @notice One feed says what the base token costs, another what the quote token costs in the same currency; without the other
/// the quote token is that currency. There is no price where
/// - an answer is older than its feed's heartbeat, or from the future,
/// - an answer is outside its feed's plausible range: feeds stop at a floor when a price falls below it (Terra, 2022-05-12), and
///   some have answered 0,
/// - the sequencer of the chain is down, or has not been up for a while: others could not act on the price yet.
contract ChainlinkOracle is IOracle {
    /* TYPES */

    /// @param heartbeat Seconds within which the feed answers again, with a margin.
    /// @param lowest Least answer that is believed, in the feed's decimals.
    /// @param highest Largest answer that is believed.
    struct Feed {
        IAggregator aggregator;
        uint32 heartbeat;
        uint96 lowest;
        uint96 highest;
    }

    /* IMMUTABLES */

    uint256 private constant PRICE_DECIMALS = 36;

    IAggregator public immutable BASE_FEED;
    uint256 public immutable BASE_HEARTBEAT;
    uint256 public immutable BASE_LOWEST;
    uint256 public immutable BASE_HIGHEST;

    /// @notice The quote token's feed; none where the base token's feed is in the quote token.
    IAggregator public immutable QUOTE_FEED;
    uint256 public immutable QUOTE_HEARTBEAT;
    uint256 public immutable QUOTE_LOWEST;
    uint256 public immutable QUOTE_HIGHEST;

    /// @notice The feed of a rollup's sequencer; none on other chains.
    IAggregator public immutable SEQUENCER;
    /// @notice Seconds that the sequencer must have been up.
    uint256 public immutable GRACE_PERIOD;

    /// @dev What turns the quotient of two answers into a price.
    uint256 private immutable SCALE;

    /* ERRORS */

    error BadFeed(address aggregator);
    error BadDecimals(uint256 baseDecimals, uint256 quoteDecimals);
    error StalePrice(address aggregator, uint256 updatedAt, uint256 heartbeat);
    error AbsurdPrice(address aggregator, int256 answer);
    error SequencerDown(uint256 since);

    /* CONSTRUCTOR */

    /// @param baseDecimals Decimals of the base token.
    /// @param quoteDecimals Decimals of the quote token.
    constructor(
        Feed memory base,
        Feed memory quote,
        uint8 baseDecimals,
        uint8 quoteDecimals,
        IAggregator sequencer,
        uint256 gracePeriod
    ) {
        _checkFeed(base);
        (BASE_FEED, BASE_HEARTBEAT) = (base.aggregator, base.heartbeat);
        (BASE_LOWEST, BASE_HIGHEST) = (base.lowest, base.highest);
        uint256 up = PRICE_DECIMALS + quoteDecimals;
        uint256 down = uint256(baseDecimals) + base.aggregator.decimals();
        if (address(quote.aggregator) != address(0)) {
            _checkFeed(quote);
            up += quote.aggregator.decimals();
        }
        (QUOTE_FEED, QUOTE_HEARTBEAT) = (quote.aggregator, quote.heartbeat);
        (QUOTE_LOWEST, QUOTE_HIGHEST) = (quote.lowest, quote.highest);
        require(up >= down && up - down <= 72, BadDecimals(baseDecimals, quoteDecimals));
        SCALE = 10 ** (up - down);
        (SEQUENCER, GRACE_PERIOD) = (sequencer, gracePeriod);
        require(address(sequencer) == address(0) || address(sequencer).code.length != 0, BadFeed(address(sequencer)));
    }

    function _checkFeed(Feed memory feed) private view {
        bool range = feed.lowest != 0 && feed.lowest < feed.highest;
        require(
            address(feed.aggregator).code.length != 0 && feed.heartbeat != 0 && range, BadFeed(address(feed.aggregator))
        );
    }

    /* VIEWS */

    /// @inheritdoc IOracle
    function price() external view returns (uint256) {
        _checkSequencer();
        uint256 base = _read(BASE_FEED, BASE_HEARTBEAT, BASE_LOWEST, BASE_HIGHEST);
        uint256 quote = 1;
        if (address(QUOTE_FEED) != address(0)) quote = _read(QUOTE_FEED, QUOTE_HEARTBEAT, QUOTE_LOWEST, QUOTE_HIGHEST);
        return Math.mulDiv(SCALE, base, quote);
    }

    /* INTERNAL */

    /// @dev The feed answers 0 while the sequencer is up, and since when.
    function _checkSequencer() private view {
        if (address(SEQUENCER) == address(0)) return;
        (, int256 down, uint256 since,,) = SEQUENCER.latestRoundData();
        // `since` is 0 before the first round, when nothing is known.
        require(down == 0 && since != 0 && since + GRACE_PERIOD < block.timestamp, SequencerDown(since));
    }

    function _read(IAggregator feed, uint256 heartbeat, uint256 lowest, uint256 highest)
        private
        view
        returns (uint256)
    {
        (, int256 answer,, uint256 updatedAt,) = feed.latestRoundData();
        require(
            updatedAt <= block.timestamp && block.timestamp - updatedAt <= heartbeat,
            StalePrice(address(feed), updatedAt, heartbeat)
        );
        bool plausible = answer > 0 && uint256(answer) >= lowest && uint256(answer) <= highest;
        require(plausible, AbsurdPrice(address(feed), answer));
        return uint256(answer);
    }
}

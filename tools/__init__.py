"""The workshop: audit, bench, gas, results, calibration. Never shipped; nothing else imports from here."""

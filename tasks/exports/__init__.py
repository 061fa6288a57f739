"""Formats that trainers read: one module each, found by its name here (`trl_dpo` is `--to trl-dpo`); see tasks/release/export_rows.py for what one offers."""

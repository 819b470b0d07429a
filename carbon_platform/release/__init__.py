"""One release: render, plan, guard, apply, wait, recover."""

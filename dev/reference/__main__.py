"""Write every page anew, and say which have changed."""

from dev.reference import FILES, ROOT, current

for name in FILES:
    path, text = ROOT / name, current(name)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
        print(f"{name}: written")

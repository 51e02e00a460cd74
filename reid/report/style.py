"""How the page looks: light and dark, on a desk and on a phone."""

STYLE = """
:root { color-scheme: light dark; --back: #f4f4f2; --card: #fff; --ink: #222; --soft: #666; --line: #ddd;
        --right: #2f855a; --wrong: #c53030; --note: #fdf3d8 }
@media (prefers-color-scheme: dark) {
  :root { --back: #17181a; --card: #222427; --ink: #e6e6e4; --soft: #a0a3a8; --line: #3a3d42;
          --right: #4fbf87; --wrong: #ff7b72; --note: #3a3220 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1040px; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.5rem; overflow-wrap: anywhere } h2 { margin-top: 2.2rem; font-size: 1.2rem } h3 { font-size: 1rem }
p { overflow-wrap: anywhere }
.note { background: var(--note); padding: .6rem .9rem; border-radius: 6px }
.wide { overflow-x: auto; background: var(--card); border-radius: 6px; padding: .4rem .8rem }
table { border-collapse: collapse; width: 100% }
th, td { padding: .3rem .7rem .3rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th { font-weight: 600; color: var(--soft) } tbody tr:last-child td { border-bottom: 0 }
th:first-child, td:first-child { text-align: left }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 14px }
.charts svg { width: 100%; height: auto; display: block }
.charts svg > rect:first-of-type { fill: var(--card) } .charts svg text { fill: var(--ink) }
.charts svg path { stroke: var(--line) }
figure { margin: 0 0 1rem; background: var(--card); border-radius: 6px; padding: .5rem .8rem }
figcaption { color: var(--soft); overflow-wrap: anywhere }
.ranked { list-style: none; margin: .3rem 0 0; padding: 0 0 .3rem; display: flex; gap: 6px; overflow-x: auto }
.ranked li { flex: none; text-align: center; font-size: 12px }
.ranked img { display: block; height: 116px; width: auto; max-width: 150px; border: 4px solid transparent;
              border-radius: 4px }
.ranked .right img { border-color: var(--right) } .ranked .right span { color: var(--right) }
.ranked .wrong img { border-color: var(--wrong) } .ranked .wrong span { color: var(--wrong) }
.ranked .query { margin-right: 10px } .ranked .query img { border-color: var(--soft) }
.map { width: 100%; height: auto; background: var(--card); border-radius: 6px }
.map .rim { stroke: var(--ink); stroke-width: 1.5px }
.map text { font-size: 13px; font-weight: 600; fill: var(--ink); stroke: var(--card); stroke-width: 3px;
            paint-order: stroke; text-anchor: middle; pointer-events: none }
details { margin-top: 1.5rem } summary { cursor: pointer; font-weight: 600 }
@media (max-width: 600px) { main { padding: .7rem } .ranked img { height: 92px } }
"""

"""The rehearsal model's knowledge: domains with their topics and the nouns, people and places that belong to each."""

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Domain:
    """A field of knowledge."""

    name: str
    topics: tuple[str, ...]
    nouns: tuple[str, ...]
    """Things its sentences speak of."""
    people: tuple[str, ...]
    """Who works in it, in the plural."""


def _domain(name: str, topics: str, nouns: str, people: str) -> Domain:
    lists = (tuple(item.strip() for item in text.split(",")) for text in (topics, nouns, people))
    return Domain(name, *lists)


DOMAINS: tuple[Domain, ...] = (
    _domain(
        "biology",
        "cell division, coral reefs, bird migration, soil microbes, plant hormones, the immune system, animal camouflage, gene "
        "expression, pollination, deep-sea life, fungal networks, sleep in animals, predator and prey cycles, seed dispersal",
        "membranes, enzymes, habitats, mutations, nutrients, offspring, tissues, species",
        "biologists, field researchers, botanists, laboratory technicians",
    ),
    _domain(
        "physics",
        "friction, sound waves, magnetism, nuclear fusion, optical lenses, thermal expansion, superconductors, pendulums, fluid "
        "turbulence, static electricity, the speed of light, buoyancy, radioactive decay, resonance",
        "forces, fields, particles, oscillations, energies, measurements, boundaries, charges",
        "physicists, instrument makers, theorists, engineers",
    ),
    _domain(
        "chemistry",
        "acids and bases, crystal growth, corrosion, polymers, catalysts, soap making, fermentation chemistry, glass, pigments, "
        "batteries, water hardness, combustion, chromatography, fertilisers",
        "molecules, solvents, reactions, bonds, residues, ions, mixtures, compounds",
        "chemists, process engineers, dye makers, analysts",
    ),
    _domain(
        "astronomy",
        "lunar eclipses, comets, neutron stars, the rings of Saturn, exoplanets, meteor showers, dark matter, solar wind, space "
        "telescopes, the life of stars, tides and the moon, asteroid mining, the night sky, galaxy clusters",
        "orbits, spectra, craters, telescopes, magnitudes, shadows, dust clouds, satellites",
        "astronomers, sky watchers, mission planners, opticians",
    ),
    _domain(
        "earth science",
        "volcanoes, river deltas, glaciers, earthquakes, monsoons, cave formation, desert dunes, ocean currents, groundwater, fossil "
        "layers, lightning, soil erosion, tornadoes, the carbon cycle",
        "sediments, faults, basins, currents, strata, slopes, minerals, storms",
        "geologists, surveyors, forecasters, hydrologists",
    ),
    _domain(
        "medicine",
        "vaccination, wound healing, hearing loss, blood pressure, physical therapy, food allergies, emergency triage, antibiotic "
        "resistance, dental care, chronic pain, medical imaging, organ donation, migraine, childhood nutrition",
        "symptoms, dosages, patients, trials, side effects, diagnoses, screenings, tissues",
        "nurses, surgeons, general practitioners, pharmacists",
    ),
    _domain(
        "computing",
        "hash tables, database indexes, password managers, version control, garbage collection, spam filters, text compression, file "
        "systems, web accessibility, unit testing, network routing, random numbers, search engines, embedded devices",
        "queues, caches, protocols, records, threads, packets, keys, logs",
        "programmers, system administrators, testers, designers",
    ),
    _domain(
        "mathematics",
        "prime numbers, probability, fractions, ratios and proportions, geometric areas, linear equations, percentages, averages, "
        "sequences, combinatorics, unit conversion, symmetry, graph theory, number bases",
        "proofs, sums, patterns, angles, variables, bounds, sets, diagrams",
        "mathematicians, teachers, statisticians, puzzle makers",
    ),
    _domain(
        "history",
        "the Silk Road, the printing press, medieval guilds, the Industrial Revolution, ancient irrigation, lighthouse keepers, the "
        "spice trade, castle building, the telegraph, the Black Death, canal building, early cartography, whaling, the history of "
        "bread",
        "charters, harbours, merchants, archives, workshops, treaties, maps, chronicles",
        "historians, archivists, traders, curators",
    ),
    _domain(
        "economics",
        "inflation, supply chains, household budgets, auctions, minimum wages, micro-loans, currency exchange, insurance, rent "
        "control, trade tariffs, pension funds, public goods, tourism economies, price discrimination",
        "prices, incentives, markets, contracts, savings, wages, shortages, forecasts",
        "economists, shopkeepers, bankers, policy makers",
    ),
    _domain(
        "law",
        "copyright, tenant rights, contract law, jury trials, small claims courts, data protection, patents, employment law, consumer "
        "protection, mediation, inheritance, freedom of information, traffic law, building permits",
        "clauses, obligations, remedies, witnesses, precedents, filings, deadlines, rights",
        "lawyers, judges, clerks, mediators",
    ),
    _domain(
        "literature",
        "haiku, detective novels, unreliable narrators, folk tales, science fiction, stage dialogue, epic poetry, letters in fiction, "
        "translation of poetry, satire, coming-of-age stories, metaphor, children's picture books, autobiography",
        "plots, verses, characters, images, chapters, voices, endings, scenes",
        "novelists, critics, editors, translators",
    ),
    _domain(
        "music",
        "string quartets, jazz improvisation, choir singing, drum rhythms, violin making, musical scales, film scores, piano tuning, "
        "folk songs, sound recording, conducting, practice habits, concert halls, electronic music",
        "chords, melodies, tempos, instruments, rehearsals, harmonies, recordings, phrases",
        "composers, performers, instrument builders, sound engineers",
    ),
    _domain(
        "visual art",
        "watercolour painting, perspective drawing, mosaics, portrait photography, woodcuts, colour theory, sculpture in stone, street "
        "murals, typography, museum lighting, weaving, ceramics glazing, calligraphy, art restoration",
        "brushes, surfaces, shadows, pigments, compositions, textures, outlines, exhibitions",
        "painters, conservators, photographers, illustrators",
    ),
    _domain(
        "cooking",
        "sourdough bread, knife skills, spice blends, food preservation, vegetable soups, cheese making, grilling fish, meal planning, "
        "tea brewing, pasta dough, pressure cooking, chocolate tempering, street food, reducing kitchen waste",
        "flavours, doughs, ovens, ingredients, portions, recipes, sauces, temperatures",
        "cooks, bakers, farmers, home cooks",
    ),
    _domain(
        "agriculture",
        "crop rotation, bee keeping, greenhouse growing, rice terraces, composting, drip irrigation, sheep farming, orchard pruning, "
        "seed banks, pest control, vertical farms, soil testing, dairy herds, mushroom growing",
        "harvests, seedlings, furrows, yields, orchards, pastures, tools, seasons",
        "growers, agronomists, shepherds, gardeners",
    ),
    _domain(
        "engineering",
        "suspension bridges, wind turbines, elevators, water treatment, tunnel boring, bicycle gears, 3D printing, noise insulation, "
        "railway signals, dams, welding, vibration control, pumps and valves, robot arms",
        "loads, joints, tolerances, beams, sensors, failures, prototypes, materials",
        "engineers, technicians, inspectors, machinists",
    ),
    _domain(
        "architecture",
        "passive cooling, public libraries, roof gardens, timber frames, city squares, earthquake-safe houses, staircases, small "
        "apartments, natural light, concrete shells, school buildings, market halls, acoustics of rooms, accessible entrances",
        "facades, plans, courtyards, columns, windows, materials, corridors, foundations",
        "architects, builders, planners, carpenters",
    ),
    _domain(
        "education",
        "reading aloud, peer tutoring, classroom debates, language immersion, homework, learning by play, adult literacy, school "
        "gardens, exam anxiety, note taking, project work, distance learning, mentoring, teaching statistics",
        "lessons, exercises, feedback, goals, textbooks, mistakes, groups, examples",
        "teachers, tutors, pupils, parents",
    ),
    _domain(
        "psychology",
        "habit formation, memory tricks, decision fatigue, group pressure, motivation, optical illusions, grief, attention, first "
        "impressions, procrastination, empathy, fear of heights, daydreaming, stress at work",
        "habits, rewards, emotions, memories, biases, choices, routines, experiments",
        "psychologists, counsellors, coaches, volunteers",
    ),
    _domain(
        "sport",
        "marathon training, chess openings, swimming technique, team tactics, referees, climbing safety, warm-up routines, youth "
        "football, rowing, sports injuries, archery, table tennis spin, cycling in groups, sports statistics",
        "muscles, strategies, matches, scores, rules, injuries, drills, rhythms",
        "coaches, athletes, referees, trainers",
    ),
    _domain(
        "travel",
        "night trains, packing light, mountain huts, travel on a budget, walking tours, jet lag, local markets, travel journals, "
        "island ferries, house swaps, travelling with children, border crossings, long-distance cycling, city maps",
        "routes, timetables, hostels, tickets, landscapes, customs, backpacks, delays",
        "travellers, guides, conductors, hosts",
    ),
    _domain(
        "environment",
        "recycling plastics, urban trees, wetland restoration, solar power, light pollution, household energy, river clean-up, "
        "electric buses, rewilding, rainwater harvesting, noise pollution, green roofs, repair cafés, tidal energy",
        "emissions, wetlands, resources, panels, wastes, habitats, policies, neighbourhoods",
        "ecologists, activists, city planners, volunteers",
    ),
    _domain(
        "work and society",
        "job interviews, remote work, public speaking, volunteering, neighbourhood meetings, conflict at work, time management, "
        "customer service, elections, community radio, libraries, team meetings, writing clear e-mails, shift work",
        "agendas, deadlines, colleagues, messages, decisions, meetings, promises, schedules",
        "managers, volunteers, organisers, employees",
    ),
)

ASPECTS: tuple[str, ...] = (
    "the history of {t}",
    "common mistakes in {t}",
    "{t} for beginners",
    "the economics of {t}",
    "tools used in {t}",
    "{t} and public health",
    "the future of {t}",
    "how {t} is taught",
    "measuring {t}",
    "{t} in everyday life",
    "famous experiments on {t}",
    "the mathematics behind {t}",
    "{t} and climate",
    "myths about {t}",
    "ethical questions of {t}",
    "{t} in cities",
    "{t} in rural areas",
    "regional differences in {t}",
    "safety in {t}",
    "{t} and technology",
    "the language of {t}",
    "{t} in literature and film",
    "the cost of {t}",
    "careers in {t}",
    "{t} for children",
    "scientific debates on {t}",
    "how {t} began",
    "the limits of {t}",
    "{t} compared across countries",
    "quality control in {t}",
    "{t} and the law",
    "energy use in {t}",
    "the role of water in {t}",
    "seasonal changes in {t}",
    "{t} at home",
    "training and practice in {t}",
    "data and statistics on {t}",
    "{t} after an accident",
    "unexpected uses of {t}",
    "the first steps of {t}",
)

MATHEMATICAL_TOPICS: tuple[str, ...] = (
    "addition and subtraction",
    "multiplication",
    "long division",
    "fractions",
    "decimals",
    "percentages",
    "ratios",
    "proportions",
    "averages",
    "unit prices",
    "money and change",
    "time and schedules",
    "speed and distance",
    "area of rectangles",
    "perimeter",
    "volume of boxes",
    "savings and interest",
    "discounts",
    "sharing equally",
    "patterns and sequences",
    "measurement",
    "recipes and scaling",
    "work rates",
    "age puzzles",
    "counting",
    "combinations",
    "simple probability",
    "weights and balance",
    "tickets and prices",
    "seating arrangements",
    "fencing a garden",
    "tiling a floor",
    "reading tables",
    "temperature changes",
    "mixtures",
    "consecutive numbers",
    "multiples and factors",
    "remainders",
    "budgets",
    "map scales",
)

ALL_TOPICS: tuple[str, ...] = tuple(topic for domain in DOMAINS for topic in domain.topics)

_STOPWORDS = frozenset(
    word
    for line in (
        "a about above after again all also am an and answer any are as at be because been before being below between both but by can compare could",
        "describe did discuss do does doing down during each every explain few following for from further give had has have having he her here hers him",
        "his how i if in into is it its itself just let like many may me might more most much must my name no nor not now of off on once one only or other",
        "our out over own please question questions same say shall she should so some someone something such tell than that the their them then there",
        "these they thing things this those through to too two under until up us use using very was way ways we were what when where which while who whom",
        "why will with without would write you your",
    )
    for word in line.split()
)


def content_words(text: str) -> list[str]:
    """List the words of a text that carry meaning, in lower case, in order, repeats kept."""
    words = ("".join(mark if mark.isalnum() or mark in "'-" else " " for mark in text.lower())).split()
    return [word for word in (raw.strip("'-") for raw in words) if len(word) > 2 and word not in _STOPWORDS]


@lru_cache(maxsize=4096)
def find_domain(text: str) -> Domain | None:
    """Find the domain whose topics and nouns the text names most; the first of equals; None where it names none."""
    low = text.lower()
    scores = [sum(3 for topic in domain.topics if topic.lower() in low) + sum(1 for noun in domain.nouns if noun in low) for domain in DOMAINS]
    best = max(scores)
    return DOMAINS[scores.index(best)] if best else None

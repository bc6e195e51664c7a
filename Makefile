# Two commands do everything, each on its own: `make reports` and `make test`. `make help` lists the rest.
#
# The rules below are the dependency graph:
#   raw files, boundaries, microdata -> 01..03, 05 (tables) -> 11..25 (reports) -> PDF
# A notebook that has run is the file build/NAME.ipynb; it appears only when the run has succeeded.

PYTHON ?= python3
VENV ?= .venv
BUILD ?= build
PROCESSED ?= data/processed
BOUNDARIES ?=
MICRODATA ?=
RW_VARIABLES ?=
RW_BOUNDARIES ?=
PANEL ?=

BIN := $(abspath $(VENV))/bin
RUN := $(BIN)/python -m analysis.runner
REPORT := $(BIN)/python -m analysis.report
REGIONS := $(BIN)/python -m analysis.regions
NPM_FOLDER := data/raw/boundaries

export BOUNDARIES
export MICRODATA
export RW_VARIABLES
export RW_BOUNDARIES
export PANEL
export ANALYSIS_PROCESSED := $(abspath $(PROCESSED))
export JUPYTER_PREFER_ENV_PATH := 1
# One thread per process, as the runner has it: the same digits on every machine.
export OMP_NUM_THREADS ?= 1
export IPYTHONDIR := $(abspath $(BUILD))/ipython
export PATH := $(BIN):$(PATH)

CLEANING := 01_regions 02_poverty_series 03_slums 05_households
REPORTS := 04_sae_validation 06_poverty_profile 11_target 12_slum_map 13_kelurahan_atlas 14_poverty_map 15_slums_in_space 16_target_arithmetic 17_okoce_funnel 18_slum_scores 21_jakarta_counterfactual 22_slum_upgrading 23_okoce 24_transfers 25_slum_upgrading_panel
NOTEBOOKS := $(CLEANING) $(REPORTS)
# Cleaning notebooks that are reports too: what was found wrong in published tables and microdata.
PDFS := 02_poverty_series 05_households $(REPORTS)

# What each notebook writes, and which sources (records of data/raw/sources.yml) it reads.
TABLES_01_regions := kelurahan
TABLES_02_poverty_series := poverty_semester kota_poverty
TABLES_03_slums := slum_rw slum_kelurahan slum_counts
TABLES_05_households := households households_census
SOURCES_01_regions := kelurahan_population_2024 kelurahan_rw
SOURCES_02_poverty_series := dki_poverty_semester province_poverty province_poverty_corrections dki_kota_poverty release_dates provinces
SOURCES_03_slums := slum_rw_three_kota rw_kumuh_counts kelurahan_population_2024
SOURCES_04_sae_validation := sae_area sae_area_r sae_spatial sae_spatial_r sae_spatial_weights sae_unit_sample sae_unit_census sae_unit_r_log sae_unit_r_mse sae_fits_r
# Without MICRODATA: what the synthetic city is made from.
SOURCES_05_households := dki_kota_poverty dki_poverty_semester kelurahan_population_2024 kelurahan_rw rw_kumuh_counts slum_rw_three_kota
SOURCES_06_poverty_profile := dki_poverty_semester
SOURCES_11_target := poverty_targets survey_error assumptions
SOURCES_12_slum_map :=
SOURCES_13_kelurahan_atlas :=
SOURCES_14_poverty_map := dki_kota_poverty dki_poverty_semester kelurahan_population_2024 kelurahan_rw rw_kumuh_counts slum_rw_three_kota
SOURCES_15_slums_in_space := kelurahan_population_2024 kelurahan_social_vulnerability_2013
SOURCES_16_target_arithmetic := assumptions programme_indicators province_indicators_annual
SOURCES_17_okoce_funnel := assumptions programme_indicators dki_indicators
# Without RW_VARIABLES and MICRODATA: what the synthetic city is made from.
SOURCES_18_slum_scores := slum_rules_bps slum_rules_permen dki_kota_poverty dki_poverty_semester kelurahan_population_2024 kelurahan_rw rw_kumuh_counts slum_rw_three_kota
SOURCES_21_jakarta_counterfactual := survey_error provinces
SOURCES_22_slum_upgrading := kelurahan_population_2024 programme_indicators rw_kumuh_counts slum_programme_budget_2020 slum_programme_rw
SOURCES_23_okoce := kelurahan_population_2024
SOURCES_24_transfers := kelurahan_population_2024
SOURCES_25_slum_upgrading_panel := rw_kumuh_counts

ENV := $(VENV)/.installed
NPM := $(NPM_FOLDER)/node_modules/.package-lock.json
INSTALLED := $(addprefix $(NPM_FOLDER)/node_modules/,geojson-indonesia/geojson/gadm41_IDN_4.json idn-area-data/data/villages.csv)
SOURCE_IDS := $(shell sed -n 's/^- id: //p' data/raw/sources.yml 2>/dev/null)
RAW_FILES := $(addprefix data/raw/,$(shell sed -n 's/^  path: \(.*\.\(csv\|yml\)\)$$/\1/p' data/raw/sources.yml 2>/dev/null | grep -v node_modules))
BOUNDARY_TABLE := $(PROCESSED)/boundaries.parquet
LIBRARY := $(filter-out src/analysis/report/%,$(wildcard src/analysis/*.py src/analysis/*.mplstyle src/analysis/*/*.py))
REPORT_LIBRARY := $(wildcard src/analysis/report/*)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.PHONY: help reports test lab data notebooks tables boundaries check-raw format lint bench previews lock clean run-tests FORCE
# No implicit rules: a no-op run is faster, and nothing surprises.
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

help: ## this list
	@echo "The two commands, each on its own in a fresh clone:"
	@echo "  make reports     set up what is needed and write the PDF reports into reports/"
	@echo "  make test        set up what is needed and run all tests"
	@echo "The rest:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | grep -v -E 'make (reports|test)\b' | expand -t 19
	@echo "Variables: PYTHON=python3.12 (3.11 or newer)  BOUNDARIES=path (instead of GADM 4.1)"
	@echo "           MICRODATA=path (mapping or its folder, instead of a synthetic city)  VENV=path"
	@echo "           RW_VARIABLES=path (table for slum scores)  RW_BOUNDARIES=path (polygons of RW)"
	@echo "           PANEL=path (CSV of RW by year, instead of a made-up one)"

reports: $(PDFS:%=reports/%.pdf) ## the PDF reports
	@echo "reports are up to date: $^"

# FORCE if one of the files is not there.
missing = $(if $(filter-out $(wildcard $(1)),$(1)),FORCE)

# What git has and make cannot make.
ifeq ($(wildcard data/raw/sources.yml),)
$(error data/raw/sources.yml is missing: restore it with 'git checkout data/raw/sources.yml')
endif
$(RAW_FILES) $(NOTEBOOKS:%=notebooks/%.ipynb):
	@echo "$@ is missing: restore it with 'git checkout $@'" >&2; exit 1

# ---- set-up ---------------------------------------------------------------------------------

$(ENV): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -1):" \
	    "name another, for instance 'make $(MAKECMDGOALS) PYTHON=python3.12'" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; a few minutes, about 1.9 GB) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make an environment: install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
	  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e . \
	  || { rm -rf $(VENV); \
	  echo "The packages could not be installed (see above): check the network and the disk, then run make again" >&2; exit 1; }
	@touch $@

$(NPM): $(NPM_FOLDER)/package.json $(NPM_FOLDER)/package-lock.json $(NPM_FOLDER)/.npmrc $(call missing,$(INSTALLED)) | $(ENV)
	@echo "Installing boundaries and codes (npm, about 80 MB) ..."
	@cd $(NPM_FOLDER) && npm ci --no-audit --no-fund --loglevel=error \
	  || { echo "The boundaries could not be installed (see above): check the network and the disk, then run make again" >&2; exit 1; }
	@touch $@

# The records of sources.yml, one file each, so that a changed record reruns only what reads it.
$(BUILD)/sources/.split: data/raw/sources.yml src/analysis/sources.py $(ENV)
	@$(BIN)/python -m analysis.sources split $(@D)
	@touch $@
$(SOURCE_IDS:%=$(BUILD)/sources/%.txt): $(BUILD)/sources/%.txt: $(BUILD)/sources/.split
	@test -e $@ || { echo "the Makefile names a source that sources.yml does not have: $*" >&2; exit 1; }

# Another BOUNDARIES= is another input, and so is another content of that file.
$(BUILD)/boundaries.txt: FORCE
	@mkdir -p $(@D); { test ! -f "$$BOUNDARIES" || cksum "$$BOUNDARIES"; echo "$$BOUNDARIES"; } > $@.new; \
	  if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
# Another MICRODATA= is another input, and so is another content of its mapping, or another file
# beside it (by name, size and time: microdata are large).
$(BUILD)/microdata.txt: FORCE
	@mkdir -p $(@D); { file=$$MICRODATA; test ! -d "$$file" || file=$$file/mapping.yml; \
	  test ! -f "$$file" || { cksum "$$file"; LC_ALL=C ls -ln "$$(dirname "$$file")"; }; \
	  echo "$$MICRODATA"; } > $@.new; \
	  if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
# The same for files on RW (a shapefile is several files of one name).
$(BUILD)/rw.txt: FORCE
	@mkdir -p $(@D); { for file in "$$RW_VARIABLES" "$$RW_BOUNDARIES"; do \
	  test ! -f "$$file" || cksum "$${file%.*}".*; echo "$$file"; done; } > $@.new; \
	  if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
# Another PANEL= likewise.
$(BUILD)/panel.txt: FORCE
	@mkdir -p $(@D); { test ! -f "$$PANEL" || cksum "$$PANEL"; echo "$$PANEL"; } > $@.new; \
	  if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
FORCE:

raw = $(addprefix data/raw/,$(shell sed -n '/^- id: $(1)$$/,/^  path:/s/^  path: //p' data/raw/sources.yml 2>/dev/null))
inputs = $(foreach source,$(SOURCES_$(1)),$(BUILD)/sources/$(source).txt $(call raw,$(source)))

$(BOUNDARY_TABLE): $(NPM) $(BUILD)/boundaries.txt src/analysis/regions.py src/analysis/sources.py \
    $(BUILD)/sources/gadm41.txt $(BUILD)/sources/kelurahan_population_2024.txt $(call raw,kelurahan_population_2024)
	@$(REGIONS)

boundaries: $(BOUNDARY_TABLE) ## install, repair and code the boundaries

# ---- notebooks and reports ------------------------------------------------------------------

# A notebook whose tables were deleted runs again.
written = $(foreach table,$(TABLES_$(1)),$(PROCESSED)/$(table).parquet)

$(CLEANING:%=$(BUILD)/%.ipynb): $(BUILD)/%.ipynb: notebooks/%.ipynb $(LIBRARY) $(ENV) \
    $$(call inputs,$$*) $$(call missing,$$(call written,$$*))
	@$(RUN) $< --output $@
$(BUILD)/01_regions.ipynb: $(BOUNDARY_TABLE)
$(BUILD)/03_slums.ipynb: $(BOUNDARY_TABLE) $(BUILD)/01_regions.ipynb
$(BUILD)/05_households.ipynb: $(BUILD)/microdata.txt
$(BUILD)/14_poverty_map.ipynb: $(BUILD)/microdata.txt $(BOUNDARY_TABLE)

$(REPORTS:%=$(BUILD)/%.ipynb): $(BUILD)/%.ipynb: notebooks/%.ipynb $(LIBRARY) $(ENV) $$(call inputs,$$*)
	@$(RUN) $< --output $@
$(BUILD)/11_target.ipynb $(BUILD)/16_target_arithmetic.ipynb $(BUILD)/17_okoce_funnel.ipynb \
    $(BUILD)/21_jakarta_counterfactual.ipynb: $(BUILD)/02_poverty_series.ipynb
$(BUILD)/22_slum_upgrading.ipynb: $(BUILD)/03_slums.ipynb
$(BUILD)/25_slum_upgrading_panel.ipynb: $(BUILD)/panel.txt
$(BUILD)/06_poverty_profile.ipynb: $(BUILD)/05_households.ipynb
$(BUILD)/12_slum_map.ipynb: $(BOUNDARY_TABLE) $(BUILD)/01_regions.ipynb $(BUILD)/03_slums.ipynb
$(BUILD)/15_slums_in_space.ipynb: $(BOUNDARY_TABLE) $(BUILD)/01_regions.ipynb $(BUILD)/03_slums.ipynb $(BUILD)/rw.txt
$(BUILD)/18_slum_scores.ipynb: $(BOUNDARY_TABLE) $(BUILD)/microdata.txt $(BUILD)/rw.txt
$(BUILD)/13_kelurahan_atlas.ipynb: $(BOUNDARY_TABLE) $(BUILD)/01_regions.ipynb $(BUILD)/02_poverty_series.ipynb

reports/%.pdf: $(BUILD)/%.ipynb $(REPORT_LIBRARY)
	@$(REPORT) $< $@

reports/previews/%.png: $(BUILD)/%.ipynb $(REPORT_LIBRARY)
	@mkdir -p $(@D)
	@$(REPORT) $< $@

tables: $(CLEANING:%=$(BUILD)/%.ipynb) ## the processed tables (data/processed)

notebooks: $(NOTEBOOKS:%=$(BUILD)/%.ipynb) ## execute all notebooks and write their outputs into notebooks/
	@for name in $(NOTEBOOKS); do $(RUN) notebooks/$$name.ipynb --in-place || exit 1; done

previews: $(PDFS:%=reports/previews/%.png) ## the pictures of the README

# ---- work -----------------------------------------------------------------------------------

# The tests have tables of their own, from the installed boundaries and the synthetic city, whatever
# BOUNDARIES, MICRODATA, RW_... and PANEL say.
TEST_MAKE = $(MAKE) --no-print-directory BUILD=$(BUILD)/test PROCESSED=$(BUILD)/test/processed BOUNDARIES= MICRODATA= RW_VARIABLES= RW_BOUNDARIES= PANEL=
test: $(ENV) ## all tests: library, data, notebooks (nbval), runner, Makefile
	@$(TEST_MAKE) tables
	@$(TEST_MAKE) run-tests
run-tests:
	@$(BIN)/python -m pytest --nbval --numprocesses auto --maxprocesses 4 --dist loadfile

lab: $(ENV) $(BOUNDARY_TABLE) tables ## JupyterLab in the project's environment
	@$(BIN)/jupyter lab --notebook-dir=.

check-raw: $(ENV) ## verify every raw file against its record in data/raw/sources.yml
	@$(BIN)/python -m analysis.sources

data: $(ENV) ## refresh the official tables from the WebAPI of BPS (BPS_TOKEN=..., YES=1 replaces without asking)
	@$(BIN)/python -m analysis.bps.refresh $(if $(YES),--yes)

format: $(ENV) ## format code and notebooks
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

lint: $(ENV) ## check the format and look for mistakes, changing nothing
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

bench: $(ENV) tables ## measure what the README states (see benchmarks/)
	@$(BIN)/python benchmarks/bps_tables.py
	@$(BIN)/python benchmarks/arithmetic.py
	@$(BIN)/python benchmarks/poverty_design.py
	@$(BIN)/python benchmarks/sae_area_level.py
	@$(BIN)/python benchmarks/sae_unit_level.py
	@$(BIN)/python benchmarks/effects_one_treated.py
	@$(BIN)/python benchmarks/microdata.py
	@$(BIN)/python benchmarks/synthetic.py
	@$(BIN)/python benchmarks/poverty_map.py
	@$(BIN)/python benchmarks/maps.py
	@$(BIN)/python benchmarks/effects_panels.py
	@$(BIN)/python benchmarks/effects_cutoffs.py
	@$(BIN)/python benchmarks/build.py

lock: $(ENV) ## resolve requirements.lock again from pyproject.toml (needs uv)
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --quiet -o requirements.lock

clean: ## remove what was built; the environment and the installed boundaries stay
	@rm -rf build reports/*.pdf reports/*.csv data/processed/*.parquet

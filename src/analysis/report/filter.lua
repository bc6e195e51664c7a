-- From the outputs of an executed notebook (pandoc's ipynb reader, --ipynb-output=all) to Typst.
--
-- Every output is a Div with one alternative per MIME type. Kept is Markdown (text, tables) or an
-- image with its metadata (figures); code, streams, HTML and plain text are dropped.

local READ = "markdown+citations+fenced_divs+pipe_tables+table_captions+table_attributes"
local SHORT = 16  -- rows

local function has_class(block, class)
  return block.t == "Div" and block.classes:includes(class)
end

local function quoted(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\n", " ") .. '"'
end

local function to_typst(markdown)
  local typst = pandoc.write(pandoc.read(markdown, "markdown"), "typst")
  return (typst:gsub("%s+$", ""))
end

-- pandoc's own writer drops the alternative text of an image, which PDF/UA asks for.
local function figure(image)
  local given = image.attributes
  for _, name in ipairs({ "caption", "alt", "label" }) do
    -- The reader turns an empty string into two quotation marks.
    if not given[name] or given[name] == "" or given[name] == '""' then
      error("a figure has no " .. name .. ": make it with analysis.display.show_figure")
    end
  end
  return pandoc.RawBlock("typst", string.format(
    "#figure(image(%s, alt: %s, width: %s), caption: [%s]) <%s>",
    quoted("media/" .. image.src), quoted(given.alt), given.width or "100%", to_typst(given.caption), given.label
  ))
end

-- A note and the source behind it are one block, so that what follows keeps its distance.
local function merged(blocks)
  local kept = pandoc.Blocks({})
  for _, block in ipairs(blocks) do
    local last = kept[#kept]
    if last and has_class(last, "source") and has_class(block, "source") then
      last.content:extend(block.content)
    else
      kept:insert(block)
    end
  end
  return kept
end

local function tables(blocks)
  return blocks:walk({
    Table = function(tbl)
      local widths = tbl.attributes.widths
      if widths then
        local column = 1
        for width in widths:gmatch("[^,]+") do
          tbl.colspecs[column] = { tbl.colspecs[column][1], tonumber(width) }
          column = column + 1
        end
        tbl.attributes.widths = nil
      end
      return tbl
    end,
    Div = function(div)
      if has_class(div, "source") then
        local text = pandoc.write(pandoc.Pandoc(div.content), "typst"):gsub("%s+$", "")
        return pandoc.RawBlock("typst", "#source[" .. text .. "]")
      end
    end,
  })
end

-- A short table stays on one page with its source; a long one breaks, with its header again.
local function together(blocks)
  local rows
  blocks:walk({
    Table = function(tbl)
      rows = #tbl.bodies[1].body
    end,
  })
  if rows and rows <= SHORT then
    blocks:insert(1, pandoc.RawBlock("typst", "#block(breakable: false, width: 100%, above: 1.3em, below: 1.3em)["))
    blocks:insert(pandoc.RawBlock("typst", "]"))
  end
  return blocks
end

local function output(div)
  local image, markdown
  for _, block in ipairs(div.content) do
    if block.t == "RawBlock" and block.format == "markdown" then
      markdown = block.text
    elseif block.t == "Para" and block.content[1] and block.content[1].t == "Image" then
      image = block.content[1]
    end
  end
  if image then
    return figure(image)
  elseif markdown then
    -- Wide lines must not make pandoc divide the text width evenly among the columns.
    local options = pandoc.ReaderOptions({ columns = 100000 })
    return together(tables(merged(pandoc.read(markdown, READ, options).blocks)))
  end
  return {}
end

local function cell(div)
  if has_class(div, "markdown") then
    return div.content
  elseif not has_class(div, "code") then
    return nil
  end
  local kept = pandoc.Blocks({})
  for _, block in ipairs(div.content) do
    if block.t == "Div" and has_class(block, "output") then
      if has_class(block, "error") then
        error("the notebook has a cell that failed: run it again")
      end
      kept:extend(pandoc.Blocks(output(block)))
    end
  end
  return kept
end

-- References to figures and tables look like citations: give them to Typst before citeproc runs.
-- ("@fig-a [@source]" is one citation to pandoc, so the two kinds may come together.)
local function reference(cite)
  local kept, others = pandoc.Inlines({}), pandoc.List({})
  for _, citation in ipairs(cite.citations) do
    if citation.id:match("^fig%-") or citation.id:match("^tbl%-") then
      if #kept > 0 then
        kept:insert(pandoc.Str(", "))
      end
      kept:insert(pandoc.RawInline("typst", "#ref(<" .. citation.id .. ">)"))
    else
      others:insert(citation)
    end
  end
  if #kept == 0 then
    return nil
  end
  if #others > 0 then
    kept:extend({ pandoc.Space(), pandoc.Cite({}, others) })
  end
  return kept
end

return { { traverse = "topdown", Div = cell }, { Cite = reference } }
